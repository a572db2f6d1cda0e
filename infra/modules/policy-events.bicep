// Writes and deletions of enterprise policies in this subscription go to the queue policy-events.
// A subscription can have only one system topic: if it exists, add the event subscription to it.
import * as types from 'types.bicep'

param tags types.tags
param token string
param namespaceName string

resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' = {
  name: 'evgt-policies-${token}'
  location: 'global'
  tags: tags
  identity: { type: 'SystemAssigned' }
  properties: {
    source: subscription().id
    topicType: 'Microsoft.Resources.Subscriptions'
  }
}

// With its own identity, a trusted service passes the firewall of a namespace. An identity of the
// user's does not.
module sender 'queue-sender.bicep' = {
  params: {
    namespaceName: namespaceName
    queueName: 'policy-events'
    principalId: topic.identity.principalId
  }
}

resource toQueue 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = {
  parent: topic
  name: 'enterprise-policies'
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
        'Microsoft.Resources.ResourceWriteSuccess'
        'Microsoft.Resources.ResourceDeleteSuccess'
      ]
      advancedFilters: [
        {
          operatorType: 'StringContains'
          key: 'subject'
          values: [
            '/providers/Microsoft.PowerPlatform/enterprisePolicies/'
            // Includes resources below a vault: a lost role there can lock environments.
            '/providers/Microsoft.KeyVault/vaults/'
          ]
        }
      ]
    }
  }
}
