// Role for a resource group with firewalls that the app may fix on request or by an approved plan:
// rules of network security groups, IP groups, access restrictions. All built-in roles are wider.
// `sites/config/write` includes all settings of an app, because Azure has no action for access
// restrictions alone. Without this role, the app only shows firewall fixes.
param token string
param principalId string

// Names of custom roles are unique in a tenant, so each has a suffix of deployment and group.
var suffix = uniqueString(resourceGroup().id, token)

resource firewalls 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(resourceGroup().id, token, 'firewalls')
  properties: {
    roleName: 'Flow remediation: firewalls (${suffix})'
    description: 'Adds and removes firewall rules for the new addresses of flows. Allows writing the whole configuration of apps.'
    permissions: [
      {
        actions: [
          'Microsoft.Network/networkSecurityGroups/securityRules/write'
          'Microsoft.Network/networkSecurityGroups/securityRules/delete'
          'Microsoft.Network/ipGroups/write'
          'Microsoft.Web/sites/config/write'
        ]
      }
    ]
    assignableScopes: [resourceGroup().id]
  }
}

resource firewallsRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(resourceGroup().id, principalId, 'firewalls')
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', firewalls.name)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}
