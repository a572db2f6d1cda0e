// What the app may do in a resource group with firewalls that it opens by order, or by an approved
// plan: rules of network security groups, IP groups, access restrictions. No built-in role is as
// narrow. `sites/config/write` is wider than the app needs: it also allows any other setting of a site
// to be replaced, its app settings included, and Azure has no action for access restrictions alone.
// Without this role every repair is text for a person.
param token string
param principalId string

// The names of custom roles are the tenant's: one for each deployment and group.
var suffix = uniqueString(resourceGroup().id, token)

resource firewalls 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(resourceGroup().id, token, 'firewalls')
  properties: {
    roleName: 'Flow remediation: firewalls (${suffix})'
    description: 'Adds rules that let the new addresses of flows in, and removes them. Allows the whole configuration of apps to be written.'
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
