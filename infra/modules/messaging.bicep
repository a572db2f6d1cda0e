// The five queues. The app relies on their properties: duplicate detection of ten minutes, a lock
// of one minute, and ten deliveries before a message becomes a dead letter.
import * as types from 'types.bicep'

param location string
param tags types.tags

// Long enough for a namespace name, which has at least six characters.
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

// Event Grid may send only to the queues of events, not to those of jobs or poison messages.
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
output namespace string = split(split(namespace.properties.serviceBusEndpoint, '//')[1], ':')[0]
output keyEventsQueueId string = queues[indexOf(queueNames, 'key-events')].id
output policyEventsQueueId string = queues[indexOf(queueNames, 'policy-events')].id
