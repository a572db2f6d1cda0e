// A key that signs evidence files and seals of the audit log. The app may read its public key and
// sign with it, and nothing else. A deployment does not change an existing key.
param vaultName string
param token string
param principalId string

// Names of custom roles are unique in a tenant, so each has a suffix of deployment and group.
var suffix = uniqueString(resourceGroup().id, token)

resource vault 'Microsoft.KeyVault/vaults@2026-02-01' existing = {
  name: vaultName
}

resource key 'Microsoft.KeyVault/vaults/keys@2026-02-01' = {
  parent: vault
  name: 'evidence'
  properties: {
    kty: 'RSA'
    keySize: 3072
    keyOps: ['sign', 'verify']
  }
}

resource signer 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(resourceGroup().id, token, 'evidence key')
  properties: {
    roleName: 'Flow remediation: evidence key (${suffix})'
    description: 'Reads a public key and signs with it.'
    permissions: [
      {
        dataActions: [
          'Microsoft.KeyVault/vaults/keys/read'
          'Microsoft.KeyVault/vaults/keys/sign/action'
        ]
      }
    ]
    assignableScopes: [resourceGroup().id]
  }
}

resource role 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(key.id, principalId, 'evidence key')
  scope: key
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', signer.name)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

output keyUrl string = key.properties.keyUri
