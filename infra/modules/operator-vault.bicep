// A vault for the service account's token cache. Anyone who can read it can act as the service
// account.
import * as types from 'types.bicep'

param location string
param tags types.tags
param principalId string

var secretsOfficer = 'b86a8fe4-44ce-4948-aee5-eccb2c155cd7'

// A deleted vault keeps its name for ninety days, because purge protection forbids earlier removal.
// With the identity in the name, a new deployment gets another name.
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

output name string = vault.name
output tokenCacheUrl string = '${vault.properties.vaultUri}secrets/operator-token-cache'
