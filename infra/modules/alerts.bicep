// What a person must look at; docs/operations.md has a runbook for each.
param location string
param tags object
param token string
param namespaceId string
param insightsId string
param actionGroupId string

var groups = empty(actionGroupId) ? [] : [actionGroupId]

resource parked 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: 'parked-messages-${token}'
  location: 'global'
  tags: tags
  properties: {
    description: 'A message could not be read or was tried too often: docs/operations.md, Parked messages.'
    severity: 2
    enabled: true
    scopes: [namespaceId]
    evaluationFrequency: 'PT15M'
    windowSize: 'PT15M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          name: 'parked'
          criterionType: 'StaticThresholdCriterion'
          metricName: 'ActiveMessages'
          dimensions: [{ name: 'EntityName', operator: 'Include', values: ['parked'] }]
          operator: 'GreaterThan'
          threshold: 0
          timeAggregation: 'Maximum'
        }
      ]
    }
    actions: [for id in groups: { actionGroupId: id }]
  }
}

resource deadLetters 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: 'dead-letters-${token}'
  location: 'global'
  tags: tags
  properties: {
    description: 'A function died ten times on one message: docs/operations.md, Dead letters.'
    severity: 1
    enabled: true
    scopes: [namespaceId]
    evaluationFrequency: 'PT15M'
    windowSize: 'PT15M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          name: 'dead'
          criterionType: 'StaticThresholdCriterion'
          metricName: 'DeadletteredMessages'
          operator: 'GreaterThan'
          threshold: 0
          timeAggregation: 'Maximum'
        }
      ]
    }
    actions: [for id in groups: { actionGroupId: id }]
  }
}

resource errors 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = {
  name: 'errors-${token}'
  location: location
  tags: tags
  properties: {
    description: 'The app logged an error, which a person must act on: docs/operations.md, Log messages.'
    severity: 2
    enabled: true
    scopes: [insightsId]
    evaluationFrequency: 'PT15M'
    windowSize: 'PT15M'
    criteria: {
      allOf: [
        {
          query: 'union traces, exceptions | where severityLevel >= 3'
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 0
        }
      ]
    }
    actions: { actionGroups: groups }
  }
}
