// Charts of the app's metrics and traces, on the page of Application Insights.
import * as types from 'types.bicep'

param location string
param tags types.tags
param token string
param insightsId string

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(resourceGroup().id, token, 'telemetry')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'cmkflow - remediations and requests'
    category: 'workbook'
    sourceId: insightsId
    serializedData: loadTextContent('workbook.json')
  }
}
