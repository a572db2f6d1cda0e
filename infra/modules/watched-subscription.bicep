// What the app may do in a watched subscription: read; and where it is to update callers, read and
// write app settings and secrets. Without that right the plan says which callers were not searched.
targetScope = 'subscription'

param principalId string
param canUpdateCallers bool

var reader = 'acdd72a7-3385-48ef-bd42-f606fba81ae7'
var keyVaultReader = '21090545-7ca7-4776-b22c-e363652d74d2'
var websiteContributor = 'de139f84-1756-47ae-9be6-808fbbe84772'
var keyVaultSecretsOfficer = 'b86a8fe4-44ce-4948-aee5-eccb2c155cd7'
var reading = [reader, keyVaultReader]
var roles = canUpdateCallers ? concat(reading, [websiteContributor, keyVaultSecretsOfficer]) : reading

resource assignments 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for role in roles: {
  name: guid(subscription().id, principalId, role)
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}]
