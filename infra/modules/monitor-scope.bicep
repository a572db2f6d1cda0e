// The scope by which Azure Monitor is reached through a private endpoint.
import * as types from 'types.bicep'

param tags types.tags
param token string

@description('Whether the network reaches only resources of the scope in Azure Monitor.')
param isOnly bool

var mode = isOnly ? 'PrivateOnly' : 'Open'

resource scope 'Microsoft.Insights/privateLinkScopes@2021-07-01-preview' = {
  name: 'pls-${token}'
  location: 'global'
  tags: tags
  properties: { accessModeSettings: { ingestionAccessMode: mode, queryAccessMode: mode } }
}

output id string = scope.id
