// Adds the workspace and Application Insights to a private link scope of Azure Monitor.
param scopeName string

@description('Ids of the resources, by a name that is unique in the scope.')
param members { *: string }

resource scope 'Microsoft.Insights/privateLinkScopes@2021-07-01-preview' existing = {
  name: scopeName
}

resource links 'Microsoft.Insights/privateLinkScopes/scopedResources@2021-07-01-preview' = [
  for member in items(members): {
    parent: scope
    name: member.key
    properties: { linkedResourceId: member.value }
  }
]
