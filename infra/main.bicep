// All Azure resources of the app, in one resource group, and its roles on watched resources.
// Resources outside of Azure Resource Manager (Power Platform, Dataverse, the service account) are
// set up manually: docs/deployment.md.
targetScope = 'subscription'

import { monitorZones, zones } from 'modules/private-zones.bicep'

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

@allowed(['open', 'new', 'existing'])
@description('open: services with public addresses. new: private endpoints in a new network. existing: private endpoints in appSubnetId and endpointSubnetId.')
param network string = 'open'

@description('Address range of a new network, /24.')
param networkAddresses string = '10.90.0.0/24'

@description('Id of a subnet of an existing network in this region, delegated to Microsoft.App/environments and used by nothing else.')
param appSubnetId string = ''

@description('Id of the subnet for private endpoints in the existing network.')
param endpointSubnetId string = ''

@description('Id of the resource group with the private DNS zones of the existing network. Empty: new zones.')
param privateDnsGroupId string = ''

@description('Ids of key vaults, separated by commas, that the app reaches by private endpoints. The deployment creates and approves these.')
param privateVaultIds string = ''

@description('Id of the private link scope of Azure Monitor that the existing network uses. Empty: a new scope.')
param monitorScopeId string = ''

@description('Resource id of the key that encrypts the storage account and, without public addresses, Service Bus, in a vault with purge protection. Empty: Microsoft manages the key.')
param storageKeyId string = ''

@minValue(0)
@maxValue(146000)
@description('Days for which nobody can change or delete a file of the archive. 0: no such rule.')
param archiveRetentionDays int = 0

@description('Whether a lock keeps the storage account and the vault from being deleted.')
param lockResources bool = false

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
var privateVaults = empty(privateVaultIds) ? [] : split(replace(privateVaultIds, ' ', ''), ',')
var triggerUrlReaders = empty(triggerUrlVaultId) || empty(triggerUrlReaderIds)
  ? []
  : split(replace(triggerUrlReaderIds, ' ', ''), ',')

var key = empty(storageKeyId)
  ? null
  : {
      identityId: storageIdentity!.outputs.id
      vaultUrl: storageKey!.outputs.vaultUrl
      name: split(storageKeyId, '/')[10]
    }

var isPrivate = network != 'open'
var usesExisting = network == 'existing'
var hasSubnets = !empty(appSubnetId) && !empty(endpointSubnetId)
var ownSubnets = !usesExisting || hasSubnets
  ? [appSubnetId, endpointSubnetId]
  : fail('An existing network needs appSubnetId and endpointSubnetId.')
var appSubnet = usesExisting ? ownSubnets[0] : isPrivate ? newNetwork!.outputs.appSubnetId : ''
var endpointSubnet = usesExisting ? ownSubnets[1] : isPrivate ? newNetwork!.outputs.endpointSubnetId : ''
var networkId = usesExisting ? split(ownSubnets[1], '/subnets/')[0] : isPrivate ? newNetwork!.outputs.id : ''
var dnsGroupId = empty(privateDnsGroupId) ? group.id : privateDnsGroupId
var monitorPlace = empty(monitorScopeId)
  ? [subscription().subscriptionId, group.name, 'pls-${token}']
  : [split(monitorScopeId, '/')[2], split(monitorScopeId, '/')[4], split(monitorScopeId, '/')[8]]
var zonePrefix = '${dnsGroupId}/providers/Microsoft.Network/privateDnsZones/'
var dnsZones = zones(environment().name, environment().suffixes.storage, environment().suffixes.keyvaultDns)

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
    isPrivate: isPrivate
  }
}

module messaging 'modules/messaging.bicep' = {
  scope: group
  params: {
    location: location
    tags: tags
    token: token
    appPrincipalId: identities.outputs.appPrincipalId
    isPrivate: isPrivate
    key: key
  }
}

module storageIdentity 'modules/storage-key-identity.bicep' = if (!empty(storageKeyId)) {
  scope: group
  params: { location: location, tags: tags, token: token }
}

module storageKey 'modules/storage-key.bicep' = if (!empty(storageKeyId)) {
  scope: resourceGroup(split(storageKeyId, '/')[2], split(storageKeyId, '/')[4])
  params: {
    vaultName: split(storageKeyId, '/')[8]
    keyName: split(storageKeyId, '/')[10]
    principalId: storageIdentity!.outputs.principalId
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
    isPrivate: isPrivate
    isLocked: lockResources
    archiveRetentionDays: archiveRetentionDays
    key: key
  }
}

module operatorVault 'modules/operator-vault.bicep' = {
  scope: group
  params: {
    location: location
    tags: tags
    principalId: identities.outputs.appPrincipalId
    isPrivate: isPrivate
    isLocked: lockResources
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

module newNetwork 'modules/network.bicep' = if (network == 'new') {
  scope: group
  params: { location: location, tags: tags, token: token, addresses: networkAddresses }
}

module dns 'modules/private-dns.bicep' = if (isPrivate && empty(privateDnsGroupId)) {
  scope: group
  params: { tags: tags, networkId: networkId, zones: dnsZones }
}

module endpoints 'modules/private-endpoint.bicep' = [
  for (part, index) in ['blob', 'table', 'namespace', 'vault']: if (isPrivate) {
    scope: group
    params: {
      location: location
      tags: tags
      name: 'pe-${part}-${token}'
      subnetId: endpointSubnet
      targetId: [
        state.outputs.accountId
        state.outputs.accountId
        messaging.outputs.namespaceId
        operatorVault.outputs.id
      ][index]
      part: part
      zones: { '${part}': '${zonePrefix}${dnsZones[part]}' }
    }
    dependsOn: [dns]
  }
]

module appEndpoint 'modules/private-endpoint.bicep' = if (isPrivate) {
  scope: group
  params: {
    location: location
    tags: tags
    name: 'pe-sites-${token}'
    subnetId: endpointSubnet
    targetId: app.outputs.id
    part: 'sites'
    zones: { sites: '${zonePrefix}${dnsZones.sites}' }
  }
  dependsOn: [dns]
}

module vaultEndpoints 'modules/private-endpoint.bicep' = [
  for id in privateVaults: if (isPrivate) {
    scope: group
    params: {
      location: location
      tags: tags
      name: 'pe-${last(split(id, '/'))}-${token}'
      subnetId: endpointSubnet
      targetId: id
      part: 'vault'
      zones: { vault: '${zonePrefix}${dnsZones.vault}' }
    }
    dependsOn: [dns]
  }
]

// A network, with all that share its DNS, can use only one scope.
module monitorScope 'modules/monitor-scope.bicep' = if (isPrivate && empty(monitorScopeId)) {
  scope: group
  params: { tags: tags, token: token, isOnly: network == 'new' }
}

module monitorMembers 'modules/monitor-scope-members.bicep' = if (isPrivate) {
  scope: resourceGroup(monitorPlace[0], monitorPlace[1])
  params: {
    scopeName: monitorPlace[2]
    members: { 'log-${token}': monitoring.outputs.workspaceId, 'appi-${token}': monitoring.outputs.insightsId }
  }
  dependsOn: [monitorScope]
}

module monitorEndpoint 'modules/private-endpoint.bicep' = if (isPrivate && empty(monitorScopeId)) {
  scope: group
  params: {
    location: location
    tags: tags
    name: 'pe-monitor-${token}'
    subnetId: endpointSubnet
    targetId: monitorScope!.outputs.id
    part: 'azuremonitor'
    zones: toObject(monitorZones, zone => zone, zone => '${zonePrefix}${dnsZones[zone]}')
  }
  // The endpoint has addresses for the members of its scope; its zone for blobs is another's too.
  dependsOn: [dns, endpoints, monitorMembers]
}

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
    isPrivate: isPrivate
    subnetId: appSubnet
    tunables: tunables
  }
  // App Service resolves references when settings change, and then once a day.
  dependsOn: [settingsVaultRights, endpoints, vaultEndpoints, monitorEndpoint]
}

module policyEvents 'modules/policy-events.bicep' = if (createPolicyTopic) {
  scope: group
  params: {
    tags: tags
    token: token
    namespaceName: messaging.outputs.namespaceName
  }
}

module keyEvents 'modules/key-events.bicep' = if (!empty(keyVaultId)) {
  scope: group
  params: {
    location: empty(keyVaultLocation) ? location : keyVaultLocation
    tags: tags
    token: token
    namespaceName: messaging.outputs.namespaceName
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

module workbook 'modules/workbook.bicep' = {
  scope: group
  params: {
    location: location
    tags: tags
    token: token
    insightsId: monitoring.outputs.insightsId
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
output CMK_OUTGOING_ADDRESS string = network == 'new' ? newNetwork!.outputs.outgoingAddress : ''
