// Role for a watched subscription: read. Permissions to write and to read secrets are granted per
// resource group: caller-group.bicep.
targetScope = 'subscription'

param principalId string

var reader = 'acdd72a7-3385-48ef-bd42-f606fba81ae7'
var keyVaultReader = '21090545-7ca7-4776-b22c-e363652d74d2'

resource assignments 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for role in [reader, keyVaultReader]: {
    name: guid(subscription().id, principalId, role)
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role)
      principalId: principalId
      principalType: 'ServicePrincipal'
    }
  }
]
