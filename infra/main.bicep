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
param serviceAccountClientId string = ''

@description('Client id of the registration by which people and machines sign in: register_sign_in.py sets it. Empty: nobody can.')
param signInClientId string = ''

@description('Resource id of the key vault that holds the customer-managed key, in this subscription. Empty: no key events.')
param keyVaultId string = ''

@description('Region of that vault: an Event Grid system topic lies where its source lies.')
param keyVaultLocation string = ''

@description('Resource groups, as ids separated by commas, whose app settings and secrets the app may read and write. Empty: callers there are neither found nor updated.')
param callerResourceGroupIds string = ''

@description('Resource groups, as ids separated by commas, with firewalls that the app may open when it is ordered to. Empty: what closes a gap is text for a person.')
param firewallResourceGroupIds string = ''

@description('Resource ids, separated by commas, of key vaults that settings refer to. The app may read the secrets of each. Empty: no setting refers to a vault.')
param settingsVaultIds string = ''

@description('Whether to make the system topic of this subscription. It can have one only: false where it has one.')
param createPolicyTopic bool = true

@allowed([
  'Standard_LRS'
  'Standard_ZRS'
  'Standard_GRS'
  'Standard_GZRS'
  'Standard_RAGRS'
  'Standard_RAGZRS'
])
@description('Redundancy of the storage account. Not every region has zones.')
param storageRedundancy string = 'Standard_LRS'

@secure()
@description('Settings of docs/settings.md by their names. An empty one is left to its default. Secure: a webhook address is a secret, and deployments keep the values of other parameters.')
param tunables { *: string } = {}

@description('Resource id of an action group that alerts go to. Empty: alerts are raised and sent to nobody.')
param actionGroupId string = ''

var token = uniqueString(subscription().id, environmentName, location)
var tags = { 'azd-env-name': environmentName }
var watched = empty(watchedSubscriptionIds)
  ? [subscription().subscriptionId]
  : split(replace(watchedSubscriptionIds, ' ', ''), ',')
var firewallGroups = empty(firewallResourceGroupIds) ? [] : split(replace(firewallResourceGroupIds, ' ', ''), ',')
var callerGroups = empty(callerResourceGroupIds) ? [] : split(replace(callerResourceGroupIds, ' ', ''), ',')
var settingsVaults = empty(settingsVaultIds) ? [] : split(replace(settingsVaultIds, ' ', ''), ',')

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
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
    redundancy: storageRedundancy
  }
}

module operatorVault 'modules/operator-vault.bicep' = {
  scope: group
  params: {
    location: location
    tags: tags
    principalId: identities.outputs.appPrincipalId
  }
}

module settingsVaultRights 'modules/settings-vault.bicep' = [
  for id in settingsVaults: {
    scope: resourceGroup(split(id, '/')[2], split(id, '/')[4])
    params: { vaultName: split(id, '/')[8], principalId: identities.outputs.appPrincipalId }
  }
]

module app 'modules/function-app.bicep' = {
  scope: group
  params: {
    location: location
    tags: tags
    token: token
    identityId: identities.outputs.appId
    identityClientId: identities.outputs.appClientId
    storageAccount: state.outputs.accountName
    packageContainer: state.outputs.packageContainer
    serviceBusNamespace: messaging.outputs.namespace
    insightsConnectionString: monitoring.outputs.connectionString
    subscriptionIds: join(watched, ',')
    serviceAccountClientId: serviceAccountClientId
    serviceAccountTokenCacheUrl: operatorVault.outputs.tokenCacheUrl
    signInClientId: signInClientId
    tunables: tunables
  }
  // App Service resolves references when it takes the settings, and then once a day.
  dependsOn: [settingsVaultRights]
}

module policyEvents 'modules/policy-events.bicep' = if (createPolicyTopic) {
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

module watchedRights 'modules/watched-subscription.bicep' = [
  for id in watched: {
    scope: subscription(id)
    params: { principalId: identities.outputs.appPrincipalId }
  }
]

module callerRights 'modules/caller-group.bicep' = [
  for id in callerGroups: {
    scope: resourceGroup(split(id, '/')[2], split(id, '/')[4])
    params: { token: token, principalId: identities.outputs.appPrincipalId }
  }
]

module firewallRights 'modules/firewall-group.bicep' = [
  for id in firewallGroups: {
    scope: resourceGroup(split(id, '/')[2], split(id, '/')[4])
    params: { token: token, principalId: identities.outputs.appPrincipalId }
  }
]

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
output CMKFLOW_CLIENT_ID string = signInClientId
output CMKFLOW_TENANT_ID string = tenant().tenantId
output CMK_PRINCIPAL_ID string = identities.outputs.appPrincipalId
output CMK_CLIENT_ID string = identities.outputs.appClientId
output CMK_SERVICE_ACCOUNT_TOKEN_CACHE_SECRET string = operatorVault.outputs.tokenCacheUrl
