// The five queues. Their properties are what the app counts on: a message id is remembered for ten
// minutes, a lock lasts a minute, ten deliveries are the end (then: dead letter).
import * as types from 'types.bicep'

param location string
param tags types.tags

// Long enough for the name of a namespace, which has six characters at least.
@minLength(13)
param token string

param appPrincipalId string
param eventsPrincipalId string

var dataOwner = '090c5cfd-751d-490a-894a-3ce6f1109419'
var dataSender = '69a216fc-b8fb-44d8-bc22-1f3c2cd27a39'
var eventQueueNames = [
  'key-events'
  'policy-events'
]
var jobQueueNames = [
  'environment-jobs'
  'flow-jobs'
  'poison'
]
var queueNames = concat(eventQueueNames, jobQueueNames)

resource namespace 'Microsoft.ServiceBus/namespaces@2026-01-01' = {
  name: 'sb-${token}'
  location: location
  tags: tags
  sku: { name: 'Standard', tier: 'Standard' }
  properties: {
    disableLocalAuth: true
    minimumTlsVersion: '1.2'
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

// Owner, not receiver and sender: the scale controller reads the queues' lengths with it.
resource appRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(namespace.id, appPrincipalId, dataOwner)
  scope: namespace
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', dataOwner)
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
  }
}

// Event Grid sends to the queues of events; it may announce no job and move nothing to the poison queue.
resource eventsRoles 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for name in eventQueueNames: {
    name: guid(namespace.id, name, eventsPrincipalId, dataSender)
    scope: queues[indexOf(queueNames, name)]
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', dataSender)
      principalId: eventsPrincipalId
      principalType: 'ServicePrincipal'
    }
  }
]

output namespaceId string = namespace.id
output namespace string = '${namespace.name}.servicebus.windows.net'
output keyEventsQueueId string = queues[indexOf(queueNames, 'key-events')].id
output policyEventsQueueId string = queues[indexOf(queueNames, 'policy-events')].id
