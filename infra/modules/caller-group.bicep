// Roles for a resource group with resources that call flows. All built-in roles with these permissions can also deploy code or delete resources.
// `sites/config/write` includes the whole configuration of an app, not only its settings.
// Without these roles, the plan names the places that were not searched for callers.
param token string
param principalId string

// Names of custom roles are unique in a tenant, so each has a suffix of deployment and group.
var suffix = uniqueString(resourceGroup().id, token)
// Declared by the caller kinds: python -m tests.caller_roles
var roles = loadJsonContent('caller-roles.json')

resource definitions 'Microsoft.Authorization/roleDefinitions@2022-04-01' = [
  for role in roles: {
    name: guid(resourceGroup().id, token, toLower(role.name))
    properties: {
      roleName: 'Flow remediation: ${role.name} (${suffix})'
      description: role.description
      permissions: role.permissions
      assignableScopes: [resourceGroup().id]
    }
  }
]

resource assignments 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (role, index) in roles: {
    name: guid(resourceGroup().id, principalId, toLower(role.name))
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', definitions[index].name)
      principalId: principalId
      principalType: 'ServicePrincipal'
    }
  }
]
