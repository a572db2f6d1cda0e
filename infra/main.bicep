// All Azure resources of the app, in one resource group, and its roles on watched resources.
// Resources outside of Azure Resource Manager (Power Platform, Dataverse, the service account) are
// set up manually: docs/deployment.md.
targetScope = 'subscription'

@minLength(1)
@maxLength(40)
@description('Name of the azd environment, used in all resource names.')
param environmentName string

@description('Azure region. It must offer Flex Consumption.')
param location string

@description('Subscriptions with the enterprise policies, apps, vaults and firewalls to watch, separated by commas. Empty: this subscription.')
param watchedSubscriptionIds string = ''

@description('Client id of the public client application for signing in the service account. Empty: no service account.')
param serviceAccountClientId string = ''

@description('Client id of the app registration for the sign-in of users and machines, set by register_sign_in.py. Empty: no sign-in.')
param signInClientId string = ''

@description('Resource id of the key vault with the customer-managed key, in this subscription. Empty: no key events.')
param keyVaultId string = ''

@description('Region of that key vault. Its Event Grid system topic must be in the same region.')
param keyVaultLocation string = ''

@description('Ids of resource groups, separated by commas, in which the app may read and write callers: app settings, secrets, App Configuration, API Management, Automation, Data Factory, container apps, event subscriptions, logic apps with their files, and action groups. Empty: it neither finds nor updates callers there.')
param callerResourceGroupIds string = ''

@description('Ids of resource groups, separated by commas, in which the app may apply firewall fixes. Empty: it only shows them.')
param firewallResourceGroupIds string = ''

@description('Ids of key vaults, separated by commas, that settings reference. The app may read their secrets. Empty: no setting references a vault.')
param settingsVaultIds string = ''

@description('Resource id of the key vault for one secret with the trigger URL of each flow. Empty: callers hold URLs.')
param triggerUrlVaultId string = ''

@description('Object ids, separated by commas, of the identities of apps that refer to these secrets. They may read all secrets of that vault.')
param triggerUrlReaderIds string = ''

@description('Whether to create the system topic of this subscription. A subscription can have only one: set false if it exists.')
param createPolicyTopic bool = true

@allowed([
  'Standard_LRS'
  'Standard_ZRS'
  'Standard_GRS'
  'Standard_GZRS'
  'Standard_RAGRS'
  'Standard_RAGZRS'
])
@description('Redundancy of the storage account. Not all regions have zones.')
param storageRedundancy string = 'Standard_LRS'

@secure()
@description('Settings of docs/settings.md by name. An empty value means the default. Secure because a webhook URL is a secret, and deployments store the values of other parameters.')
param tunables { *: string } = {}

@description('Resource id of the action group for alerts. Empty: alerts fire without a notification.')
param actionGroupId string = ''

var token = uniqueString(subscription().id, environmentName, location)
var tags = { 'azd-env-name': environmentName }
var watched = empty(watchedSubscriptionIds)
  ? [subscription().subscriptionId]
  : split(replace(watchedSubscriptionIds, ' ', ''), ',')
var firewallGroups = empty(firewallResourceGroupIds) ? [] : split(replace(firewallResourceGroupIds, ' ', ''), ',')
var callerGroups = empty(callerResourceGroupIds) ? [] : split(replace(callerResourceGroupIds, ' ', ''), ',')
var settingsVaults = empty(settingsVaultIds) ? [] : split(replace(settingsVaultIds, ' ', ''), ',')
var triggerUrlReaders = empty(triggerUrlVaultId) || empty(triggerUrlReaderIds)
  ? []
  : split(replace(triggerUrlReaderIds, ' ', ''), ',')

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

module evidenceKey 'modules/evidence-key.bicep' = {
  scope: group
  params: {
    vaultName: operatorVault.outputs.name
    token: token
    principalId: identities.outputs.appPrincipalId
  }
}

module settingsVaultRights 'modules/settings-vault.bicep' = [
  for id in settingsVaults: {
    scope: resourceGroup(split(id, '/')[2], split(id, '/')[4])
    params: { vaultName: split(id, '/')[8], principalId: identities.outputs.appPrincipalId }
  }
]

module triggerUrlRights 'modules/settings-vault.bicep' = [
  for id in triggerUrlReaders: {
    scope: resourceGroup(split(triggerUrlVaultId, '/')[2], split(triggerUrlVaultId, '/')[4])
    params: { vaultName: split(triggerUrlVaultId, '/')[8], principalId: id }
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
    evidenceKeyUrl: evidenceKey.outputs.keyUrl
    signInClientId: signInClientId
    triggerUrlVault: empty(triggerUrlVaultId)
      ? ''
      : 'https://${split(triggerUrlVaultId, '/')[8]}${environment().suffixes.keyvaultDns}'
    tunables: tunables
  }
  // App Service resolves references when settings change, and then once a day.
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
    dashboard: '${app.outputs.url}/api/dashboard'
  }
}

output AZURE_FUNCTION_APP string = app.outputs.name
output CMKFLOW_API string = app.outputs.url
output CMKFLOW_CLIENT_ID string = signInClientId
output CMKFLOW_TENANT_ID string = tenant().tenantId
output CMK_PRINCIPAL_ID string = identities.outputs.appPrincipalId
output CMK_CLIENT_ID string = identities.outputs.appClientId
output CMK_SERVICE_ACCOUNT_TOKEN_CACHE_SECRET string = operatorVault.outputs.tokenCacheUrl
output CMK_EVIDENCE_KEY string = evidenceKey.outputs.keyUrl
