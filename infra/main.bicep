// Everything the app needs in Azure, in one resource group, and its rights on what it watches.
// What lies outside Azure Resource Manager (Power Platform, Dataverse, the operator) is set up by
// hand: docs/deployment.md.
targetScope = 'subscription'

@minLength(1)
@maxLength(40)
@description('Name of the azd environment; part of every name.')
param environmentName string

@description('Azure region. Flex Consumption is not in every one.')
param location string

@description('Subscriptions with the enterprise policies, apps, vaults and firewalls to watch, separated by commas. Empty: this one.')
param watchedSubscriptionIds string = ''

@description('Public client application the operator signs in with. Empty: no operator yet.')
param operatorClientId string = ''

@description('Resource id of the key vault that holds the customer-managed key, in this subscription. Empty: no key events.')
param keyVaultId string = ''

@description('Region of that vault: an Event Grid system topic lies where its source lies.')
param keyVaultLocation string = ''

@description('Whether the app may read and write app settings and secrets in the watched subscriptions. Needed to find and update those callers.')
param canUpdateCallers bool = false

@description('Resource id of an action group that alerts go to. Empty: alerts are raised and sent to nobody.')
param actionGroupId string = ''

var token = toLower(uniqueString(subscription().id, environmentName, location))
var tags = { 'azd-env-name': environmentName }
var watched = empty(watchedSubscriptionIds) ? [subscription().subscriptionId] : split(replace(watchedSubscriptionIds, ' ', ''), ',')

resource group 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: tags
}

module identities 'modules/identities.bicep' = {
  scope: group
  params: { location: location, tags: tags, token: token }
}

module monitoring 'modules/monitoring.bicep' = {
  scope: group
  params: {
    location: location
    tags: tags
    token: token
    principalId: identities.outputs.appPrincipalId
  }
}

module messaging 'modules/messaging.bicep' = {
  scope: group
  params: {
    location: location
    tags: tags
    token: token
    appPrincipalId: identities.outputs.appPrincipalId
    eventsPrincipalId: identities.outputs.eventsPrincipalId
  }
}

module state 'modules/state.bicep' = {
  scope: group
  params: {
    location: location
    tags: tags
    token: token
    principalId: identities.outputs.appPrincipalId
  }
}

module operatorVault 'modules/operator-vault.bicep' = {
  scope: group
  params: {
    location: location
    tags: tags
    token: token
    principalId: identities.outputs.appPrincipalId
  }
}

module app 'modules/function-app.bicep' = {
  scope: group
  params: {
    location: location
    tags: union(tags, { 'azd-service-name': 'app' })
    token: token
    identityId: identities.outputs.appId
    identityClientId: identities.outputs.appClientId
    storageAccount: state.outputs.accountName
    packageContainer: state.outputs.packageContainer
    serviceBusNamespace: messaging.outputs.namespace
    insightsConnectionString: monitoring.outputs.connectionString
    subscriptionIds: join(watched, ',')
    operatorClientId: operatorClientId
    operatorTokenCacheSecret: operatorVault.outputs.tokenCacheSecret
  }
}

module policyEvents 'modules/policy-events.bicep' = {
  scope: group
  params: {
    tags: tags
    token: token
    identityId: identities.outputs.eventsId
    queueId: messaging.outputs.policyEventsQueueId
  }
}

module keyEvents 'modules/key-events.bicep' = if (!empty(keyVaultId)) {
  scope: group
  params: {
    location: empty(keyVaultLocation) ? location : keyVaultLocation
    tags: tags
    token: token
    identityId: identities.outputs.eventsId
    queueId: messaging.outputs.keyEventsQueueId
    keyVaultId: keyVaultId
  }
}

module watchedRights 'modules/watched-subscription.bicep' = [for id in watched: {
  scope: subscription(id)
  params: {
    principalId: identities.outputs.appPrincipalId
    canUpdateCallers: canUpdateCallers
  }
}]

module alerts 'modules/alerts.bicep' = {
  scope: group
  params: {
    location: location
    tags: tags
    token: token
    namespaceId: messaging.outputs.namespaceId
    insightsId: monitoring.outputs.insightsId
    actionGroupId: actionGroupId
  }
}

output AZURE_FUNCTION_APP string = app.outputs.name
output CMKFLOW_API string = app.outputs.url
output CMK_CLIENT_ID string = identities.outputs.appClientId
output CMK_OPERATOR_TOKEN_CACHE_SECRET string = operatorVault.outputs.tokenCacheSecret
