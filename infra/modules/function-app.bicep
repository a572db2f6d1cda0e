// The app itself on Flex Consumption. Every setting of shared/settings.py without a default that
// works in Azure is set here; docs/settings.md says what the others mean.
param location string
param tags object
param token string
param identityId string
param identityClientId string
param storageAccount string
param packageContainer string
param serviceBusNamespace string
param insightsConnectionString string
param subscriptionIds string
param operatorClientId string
param operatorTokenCacheSecret string

resource plan 'Microsoft.Web/serverfarms@2024-04-01' = {
  name: 'plan-${token}'
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: { reserved: true }
}

resource app 'Microsoft.Web/sites@2024-04-01' = {
  name: 'func-${token}'
  location: location
  tags: tags
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    keyVaultReferenceIdentity: identityId
    siteConfig: {
      minTlsVersion: '1.2'
      ftpsState: 'Disabled'
    }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: packageContainer
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      runtime: { name: 'python', version: '3.13' }
      // What the platform allows bounds the app, not the number of instances.
      scaleAndConcurrency: { instanceMemoryMB: 2048, maximumInstanceCount: 40 }
    }
  }
}

resource settings 'Microsoft.Web/sites/config@2024-04-01' = {
  parent: app
  name: 'appsettings'
  properties: {
    AzureWebJobsStorage__accountName: storageAccount
    AzureWebJobsStorage__credential: 'managedidentity'
    AzureWebJobsStorage__clientId: identityClientId
    ServiceBusConnection__fullyQualifiedNamespace: serviceBusNamespace
    ServiceBusConnection__credential: 'managedidentity'
    ServiceBusConnection__clientId: identityClientId
    APPLICATIONINSIGHTS_CONNECTION_STRING: insightsConnectionString
    APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
    CMK_TENANT_ID: tenant().tenantId
    CMK_SUBSCRIPTION_IDS: subscriptionIds
    CMK_CLIENT_ID: identityClientId
    CMK_OPERATOR_CLIENT_ID: operatorClientId
    CMK_OPERATOR_TOKEN_CACHE_SECRET: operatorTokenCacheSecret
    CMK_STORAGE_ACCOUNT: storageAccount
    CMK_POLL_SCHEDULE: '0 */5 * * * *'
    CMK_SWEEP_SCHEDULE: '0 0 2 * * *'
    CMK_RESEND_SCHEDULE: '30 * * * * *'
    CMK_DELETE_SCHEDULE: '15 */5 * * * *'
  }
}

// Only identities may publish the app.
resource publishing 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = [for name in ['scm', 'ftp']: {
  parent: app
  name: name
  properties: { allow: false }
}]

output name string = app.name
output url string = 'https://${app.properties.defaultHostName}'
