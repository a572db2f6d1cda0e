// What the app may do in a resource group with apps and vaults that call flows: read and write app
// settings and secrets. No built-in role gives this without the right to deploy code or to delete.
// `sites/config/write` is wider than app settings: it allows the whole configuration of a site to be
// written.
// Without it the plan says which callers were not searched.
param token string
param principalId string

// The names of custom roles are the tenant's: one for each deployment and group.
var suffix = uniqueString(resourceGroup().id, token)

resource appSettings 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(resourceGroup().id, token, 'app settings')
  properties: {
    roleName: 'Flow remediation: app settings (${suffix})'
    description: 'Finds trigger URLs in the settings of apps and replaces them. Allows the whole configuration of apps to be written.'
    permissions: [
      {
        actions: [
          'Microsoft.Web/sites/read'
          'Microsoft.Web/sites/config/list/action'
          'Microsoft.Web/sites/config/write'
        ]
      }
    ]
    assignableScopes: [resourceGroup().id]
  }
}

resource secrets 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(resourceGroup().id, token, 'secrets')
  properties: {
    roleName: 'Flow remediation: secrets (${suffix})'
    description: 'Finds trigger URLs in secrets of key vaults and adds versions. Deletes nothing.'
    permissions: [
      {
        dataActions: [
          'Microsoft.KeyVault/vaults/secrets/readMetadata/action'
          'Microsoft.KeyVault/vaults/secrets/getSecret/action'
          'Microsoft.KeyVault/vaults/secrets/setSecret/action'
        ]
      }
    ]
    assignableScopes: [resourceGroup().id]
  }
}

resource appSettingsRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(resourceGroup().id, principalId, 'app settings')
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', appSettings.name)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

resource secretsRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(resourceGroup().id, principalId, 'secrets')
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', secrets.name)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}
