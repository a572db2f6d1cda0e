// The app on Flex Consumption. A deployment replaces all of its settings: those with names of
// resources are set here, the others come from the azd environment (docs/settings.md).
import * as types from 'types.bicep'

param location string
param tags types.tags
param token string
param identityId string
param identityClientId string
param storageAccount string
param packageContainer string
param serviceBusNamespace string
param insightsConnectionString string
param subscriptionIds string
param serviceAccountClientId string
param serviceAccountTokenCacheUrl string
param evidenceKeyUrl string
param signInClientId string
param triggerUrlVault string

@description('Whether only its private endpoint reaches the app.')
param isPrivate bool

@description('Subnet of its outgoing requests. Empty: no network.')
param subnetId string

@secure()
param tunables { *: string }

var places = {
  AzureWebJobsStorage__accountName: storageAccount
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: identityClientId
  ServiceBusConnection__fullyQualifiedNamespace: serviceBusNamespace
  ServiceBusConnection__credential: 'managedidentity'
  ServiceBusConnection__clientId: identityClientId
  APPLICATIONINSIGHTS_CONNECTION_STRING: insightsConnectionString
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
  // The exporter's own statistics would go to Microsoft.
  APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL: 'true'
  CMK_TENANT_ID: tenant().tenantId
  CMK_SUBSCRIPTION_IDS: subscriptionIds
  CMK_CLIENT_ID: identityClientId
  CMK_SERVICE_ACCOUNT_CLIENT_ID: serviceAccountClientId
  CMK_SERVICE_ACCOUNT_TOKEN_CACHE_SECRET: serviceAccountTokenCacheUrl
  CMK_EVIDENCE_KEY: evidenceKeyUrl
  CMK_STORAGE_ACCOUNT: storageAccount
  CMK_SIGN_IN_CLIENT_ID: signInClientId
  CMK_TRIGGER_URL_VAULT: triggerUrlVault
  // App Service authentication: the identity's token replaces the registration's secret.
  OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID: identityClientId
  WEBSITE_AUTH_AAD_ALLOWED_TENANTS: tenant().tenantId
}

// Settings of the host, without a default in the app.
var schedules = {
  CMK_POLICY_LINK_POLL_SCHEDULE: '0 */5 * * * *'
  CMK_DAILY_CHECK_SCHEDULE: '0 0 2 * * *'
  CMK_DUE_MESSAGES_SCHEDULE: '30 * * * * *'
  CMK_DELETION_SCHEDULE: '15 */5 * * * *'
}

// Empty values are omitted, so that defaults exist only in shared/settings.py.
var chosen = filter(items(tunables), tunable => !empty(tunable.value))

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: 'plan-${token}'
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: { reserved: true }
}

resource app 'Microsoft.Web/sites@2025-03-01' = {
  name: 'func-${token}'
  location: location
  // azd deploys to the resource with this tag.
  tags: union(tags, { 'azd-service-name': 'app' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    keyVaultReferenceIdentity: identityId
    publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    siteConfig: { minTlsVersion: '1.2' }
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
      // The platform's limits bound the app, not the number of instances.
      scaleAndConcurrency: { instanceMemoryMB: 2048, maximumInstanceCount: 40 }
    }
  }
}

resource settings 'Microsoft.Web/sites/config@2025-03-01' = {
  parent: app
  name: 'appsettings'
  properties: union(places, schedules, toObject(chosen, tunable => tunable.key, tunable => tunable.value))
}

// App Service authenticates callers and rejects no one. The app authorizes them and redirects
// browsers to the sign-in (docs/adr/0020-who-calls-is-decided-here.md).
resource authentication 'Microsoft.Web/sites/config@2025-03-01' = if (!empty(signInClientId)) {
  parent: app
  name: 'authsettingsV2'
  properties: {
    platform: { enabled: true }
    globalValidation: {
      requireAuthentication: false
      unauthenticatedClientAction: 'AllowAnonymous'
    }
    httpSettings: { requireHttps: true }
    identityProviders: {
      azureActiveDirectory: {
        enabled: true
        registration: {
          clientId: signInClientId
          clientSecretSettingName: 'OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID'
          openIdIssuer: '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
        }
        validation: {
          allowedAudiences: [
            signInClientId
            'api://${signInClientId}'
          ]
        }
      }
    }
  }
  // Settings restart the app, so they are deployed one after the other.
  dependsOn: [settings]
}

// Only identities may deploy the app, not passwords.
resource scmPublishing 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = {
  parent: app
  name: 'scm'
  properties: { allow: false }
}

resource ftpPublishing 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = {
  parent: app
  name: 'ftp'
  properties: { allow: false }
}

output id string = app.id
output name string = app.name
output url string = 'https://${app.properties.defaultHostName}'
