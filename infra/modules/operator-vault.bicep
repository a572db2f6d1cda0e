// A vault for the service account's token cache. Anyone who can read it can act as the service
// account.
import * as types from 'types.bicep'

param location string
param tags types.tags
param principalId string

@description('Whether only private endpoints reach the vault.')
param isPrivate bool

param isLocked bool

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
    // Resource Manager, a trusted service, creates the evidence key.
    networkAcls: { defaultAction: isPrivate ? 'Deny' : 'Allow', bypass: 'AzureServices' }
    publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'
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

resource lock 'Microsoft.Authorization/locks@2020-05-01' = if (isLocked) {
  name: 'keep'
  scope: vault
  properties: { level: 'CanNotDelete' }
}

output id string = vault.id
output name string = vault.name
output tokenCacheUrl string = '${vault.properties.vaultUri}secrets/operator-token-cache'
