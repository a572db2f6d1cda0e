// A vault for one secret: the operator's token cache. Who may read it can act as the operator.
import * as types from 'types.bicep'

param location string
param tags types.tags
param principalId string

var secretsOfficer = 'b86a8fe4-44ce-4948-aee5-eccb2c155cd7'

// A deleted vault keeps its name for ninety days, and purge protection has nobody free it sooner. With
// the identity in it, the name is another one when all is taken away and made anew.
resource vault 'Microsoft.KeyVault/vaults@2026-02-01' = {
  name: 'kv-${uniqueString(principalId)}'
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: { family: 'A', name: 'standard' }
    enableRbacAuthorization: true
    enableSoftDelete: true
    enablePurgeProtection: true
  }
}

resource role 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, principalId, secretsOfficer)
  scope: vault
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', secretsOfficer)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

output tokenCacheUrl string = '${vault.properties.vaultUri}secrets/operator-token-cache'
