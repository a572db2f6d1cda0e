// Alert rules; docs/runbook.md has a runbook for each. The name is the subject of an e-mail, the
// description its text.
import * as types from 'types.bicep'

param location string
param tags types.tags
param token string
param namespaceId string
param insightsId string
param actionGroupId string

@description('Page with the actions required.')
param dashboard string

// The host also reports a failed run as an error in these categories. The next run corrects a
// single failure of a timer; the alert `failing` reports repeated failures.
var loggedErrors = '''
union traces, exceptions
| where severityLevel >= 3
| extend category = tostring(customDimensions.Category)
| where category != 'Host.Results' and (category !startswith 'Function.' or category endswith '.User')
'''

// The host forwards only the message, without fields. The app appends the fields as a JSON object
// after ' | ', which no other text of a message can contain: shared/logs/fields.py.
var bothOff = '''
traces
| where severityLevel >= 3
| extend fields = parse_json(extract(@' \| (\{.*\})', 1, message))
| where tostring(fields.reason_code) == 'both_off'
'''

// One line per action, once a day: shared/adapters/channels/log.py.
var plansWaiting = '''
traces
| extend fields = parse_json(extract(@' \| (\{.*\})', 1, message))
| where tostring(fields['kind']) in ('plan_awaiting_approval', 'plan_expires_soon')
'''

var flowsBlocked = '''
traces
| extend fields = parse_json(extract(@' \| (\{.*\})', 1, message))
| where tostring(fields['kind']) in ('flows_blocked', 'environment_blocked')
'''

// The daily check logs its result. If the app does not run, there is no line.
var dailyChecks = '''
traces
| where timestamp > ago(26h)
| where message startswith 'daily check completed'
'''

// Two failures since the last success, within two days, which cover two runs of the daily check.
// API requests have a URL, and their caller sees the failure.
var failedTwice = '''
let runs = requests
| where isempty(url)
| extend succeeded = tobool(success);
runs
| join kind=leftouter (
    runs
    | where succeeded
    | summarize lastSuccess = max(timestamp) by operation_Name
  ) on operation_Name
| where isnull(lastSuccess) or timestamp > lastSuccess
| summarize failed = count() by operation_Name
| where failed >= 2
'''

var groups = empty(actionGroupId) ? [] : [actionGroupId]

resource poison 'Microsoft.Insights/metricAlerts@2026-01-01' = {
  name: 'cmkflow - messages in the poison queue (poison-messages-${token})'
  location: 'global'
  tags: tags
  properties: {
    description: 'A message is unreadable or failed too often, so its work waits. Read it in the queue poison in the portal, fix its cause, then complete it. Actions required: ${dashboard}. Steps: docs/runbook.md, Poison messages.'
    severity: 2
    enabled: true
    scopes: [namespaceId]
    evaluationFrequency: 'PT15M'
    windowSize: 'PT15M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          name: 'poison'
          criterionType: 'StaticThresholdCriterion'
          metricName: 'ActiveMessages'
          dimensions: [{ name: 'EntityName', operator: 'Include', values: ['poison'] }]
          operator: 'GreaterThan'
          threshold: 0
          timeAggregation: 'Maximum'
        }
      ]
    }
    actions: [for id in groups: { actionGroupId: id }]
  }
}

resource deadLetters 'Microsoft.Insights/metricAlerts@2026-01-01' = {
  name: 'cmkflow - messages in a dead-letter queue (dead-letters-${token})'
  location: 'global'
  tags: tags
  properties: {
    description: 'A function crashed ten times on one message. Find the exception in the log by the id of the message, update the app, then resubmit or remove the message. Actions required: ${dashboard}. Steps: docs/runbook.md, Dead letters.'
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

resource bothOffAlert 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = {
  name: 'cmkflow - original and copy of a flow are both off (both-off-${token})'
  location: location
  tags: tags
  properties: {
    description: 'A flow does not run, because its original and its copy are both off. Fix the reason, then turn on the flow that the page names: ${dashboard}. Steps: docs/runbook.md, Original and copy are both off.'
    severity: 0
    enabled: true
    scopes: [insightsId]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT5M'
    criteria: {
      allOf: [
        {
          query: bothOff
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 0
        }
      ]
    }
    actions: { actionGroups: groups }
  }
}

resource errors 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = {
  name: 'cmkflow - the app logged an error (errors-${token})'
  location: location
  tags: tags
  properties: {
    description: 'The app logged an error, so a person must act. Do what the page says: ${dashboard}. If it shows no action, find the line in the log. Steps: docs/runbook.md, Log messages.'
    severity: 2
    enabled: true
    scopes: [insightsId]
    evaluationFrequency: 'PT15M'
    windowSize: 'PT15M'
    criteria: {
      allOf: [
        {
          query: loggedErrors
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 0
        }
      ]
    }
    actions: { actionGroups: groups }
  }
}

resource failing 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = {
  name: 'cmkflow - a function failed twice in a row (failing-${token})'
  location: location
  tags: tags
  properties: {
    description: 'The last two runs of a function failed. Find the exception in the log of the function, and fix its cause. Actions required: ${dashboard}. Steps: docs/runbook.md, Log messages.'
    severity: 2
    enabled: true
    scopes: [insightsId]
    evaluationFrequency: 'PT15M'
    windowSize: 'P2D'
    criteria: {
      allOf: [
        {
          query: failedTwice
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 0
        }
      ]
    }
    actions: { actionGroups: groups }
  }
}

resource plans 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = {
  name: 'cmkflow - a plan awaits approval (plan-waits-${token})'
  location: location
  tags: tags
  properties: {
    description: 'A plan awaits approval and expires. The app writes nothing before. Read the plan, then approve it: ${dashboard}. Steps: docs/runbook.md, A plan awaits approval.'
    severity: 3
    enabled: true
    scopes: [insightsId]
    evaluationFrequency: 'PT15M'
    windowSize: 'PT15M'
    criteria: {
      allOf: [
        {
          query: plansWaiting
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 0
        }
      ]
    }
    actions: { actionGroups: groups }
  }
}

resource blocked 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = {
  name: 'cmkflow - flows are blocked (flow-blocked-${token})'
  location: location
  tags: tags
  properties: {
    description: 'Flows, or a remediation, are blocked until a person acts. Fix the reason of each, then retry: ${dashboard}. Steps: docs/runbook.md, A flow is blocked.'
    severity: 2
    enabled: true
    scopes: [insightsId]
    evaluationFrequency: 'PT15M'
    windowSize: 'PT15M'
    criteria: {
      allOf: [
        {
          query: flowsBlocked
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 0
        }
      ]
    }
    actions: { actionGroups: groups }
  }
}

resource noDailyCheck 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = {
  name: 'cmkflow - no daily check for 26 hours (no-daily-check-${token})'
  location: location
  tags: tags
  properties: {
    description: 'No daily check has completed for 26 hours. Check whether the app runs, and find in the log why the timer run_daily_check fails. Actions required: ${dashboard}. Steps: docs/runbook.md, No daily check.'
    severity: 1
    enabled: true
    scopes: [insightsId]
    evaluationFrequency: 'PT1H'
    windowSize: 'P2D'
    criteria: {
      allOf: [
        {
          query: dailyChecks
          timeAggregation: 'Count'
          operator: 'LessThan'
          threshold: 1
        }
      ]
    }
    actions: { actionGroups: groups }
  }
}
