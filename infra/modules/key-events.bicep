// Events of the vault's keys go to the queue key-events.
// A vault can have only one system topic: if it exists, add the event subscription to it.
import * as types from 'types.bicep'

param location string
param tags types.tags
param token string
param namespaceName string
param keyVaultId string

resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' = {
  name: 'evgt-keys-${token}'
  location: location
  tags: tags
  identity: { type: 'SystemAssigned' }
  properties: {
    source: keyVaultId
    topicType: 'Microsoft.KeyVault.vaults'
  }
}

// With its own identity, a trusted service passes the firewall of a namespace. An identity of the
// user's does not.
module sender 'queue-sender.bicep' = {
  params: {
    namespaceName: namespaceName
    queueName: 'key-events'
    principalId: topic.identity.principalId
  }
}

resource toQueue 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = {
  parent: topic
  name: 'keys'
  properties: {
    eventDeliverySchema: 'CloudEventSchemaV1_0'
    deliveryWithResourceIdentity: {
      identity: { type: 'SystemAssigned' }
      destination: {
        endpointType: 'ServiceBusQueue'
        properties: { resourceId: sender.outputs.queueId }
      }
    }
    filter: {
      includedEventTypes: [
        'Microsoft.KeyVault.KeyNewVersionCreated'
        'Microsoft.KeyVault.KeyNearExpiry'
        'Microsoft.KeyVault.KeyExpired'
      ]
    }
  }
}
