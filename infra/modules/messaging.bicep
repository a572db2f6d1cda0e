// The five queues. The app relies on their properties: duplicate detection of ten minutes, a lock
// of one minute, and ten deliveries before a message becomes a dead letter.
import * as types from 'types.bicep'

param location string
param tags types.tags

// Long enough for a namespace name, which has at least six characters.
@minLength(13)
param token string

param appPrincipalId string

@description('Whether only private endpoints and Event Grid reach the namespace.')
param isPrivate bool

@description('The key of a private namespace. Null: Microsoft manages the key.')
param key types.customerKey?

var tier = isPrivate ? 'Premium' : 'Standard'
var dataOwner = '090c5cfd-751d-490a-894a-3ce6f1109419'
var queueNames = [
  'environment-jobs'
  'flow-jobs'
  'key-events'
  'poison'
  'policy-events'
]

resource namespace 'Microsoft.ServiceBus/namespaces@2026-01-01' = {
  // A namespace cannot change its tier, nor get a key while it has queues: another name makes
  // another one.
  name: 'sb-${isPrivate ? (key == null ? 'private-' : 'key-') : ''}${token}'
  location: location
  tags: tags
  sku: union({ name: tier, tier: tier }, isPrivate ? { capacity: 1 } : {})
  identity: isPrivate && key != null
    ? { type: 'UserAssigned', userAssignedIdentities: { '${key!.identityId}': {} } }
    : null
  properties: {
    encryption: isPrivate && key != null
      ? {
          keySource: 'Microsoft.KeyVault'
          // Without a version, the namespace follows a rotation.
          keyVaultProperties: [
            {
              keyVaultUri: key!.vaultUrl
              keyName: key!.name
              identity: { userAssignedIdentity: key!.identityId }
            }
          ]
        }
      : null
    disableLocalAuth: true
    minimumTlsVersion: '1.2'
    publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'
  }
}

resource firewall 'Microsoft.ServiceBus/namespaces/networkRuleSets@2026-01-01' = if (isPrivate) {
  parent: namespace
  name: 'default'
  properties: {
    publicNetworkAccess: 'Disabled'
    defaultAction: 'Deny'
    trustedServiceAccessEnabled: true
  }
}

resource queues 'Microsoft.ServiceBus/namespaces/queues@2026-01-01' = [
  for name in queueNames: {
    parent: namespace
    name: name
    properties: {
      lockDuration: 'PT1M'
      maxDeliveryCount: 10
      requiresDuplicateDetection: true
      duplicateDetectionHistoryTimeWindow: 'PT10M'
      deadLetteringOnMessageExpiration: false
      requiresSession: false
    }
  }
]

// Owner instead of receiver and sender, because the scale controller reads the queues' lengths with
// it.
resource appRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(namespace.id, appPrincipalId, dataOwner)
  scope: namespace
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', dataOwner)
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
  }
}

output namespaceId string = namespace.id
output namespace string = split(split(namespace.properties.serviceBusEndpoint, '//')[1], ':')[0]
output namespaceName string = namespace.name
