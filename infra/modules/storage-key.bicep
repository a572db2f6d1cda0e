// Allows the identity of the storage account and Service Bus to wrap and unwrap with the customer's key.
param vaultName string
param keyName string
param principalId string

var cryptoServiceEncryptionUser = 'e147488a-f6f5-4113-8e2d-b22465e65bf6'

resource vault 'Microsoft.KeyVault/vaults@2026-02-01' existing = {
  name: vaultName

  resource key 'keys' existing = {
    name: keyName
  }
}

resource role 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault::key.id, principalId, cryptoServiceEncryptionUser)
  scope: vault::key
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', cryptoServiceEncryptionUser)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

// Without purge protection, one person could destroy the key, and with it all data of the app.
output vaultUrl string = vault.properties.?enablePurgeProtection ?? false
  ? vault.properties.vaultUri
  : fail('Turn on purge protection of key vault ${vaultName}, then deploy again.')
