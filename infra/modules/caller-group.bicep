// Roles for a resource group with resources that call flows. All built-in roles with these permissions can also deploy code or delete resources.
// `sites/config/write` includes the whole configuration of an app, not only its settings.
// Without this role, the plan names the places that were not searched for callers.
param token string
param principalId string

// Names of custom roles are unique in a tenant, so each has a suffix of deployment and group.
var suffix = uniqueString(resourceGroup().id, token)

resource appSettings 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(resourceGroup().id, token, 'app settings')
  properties: {
    roleName: 'Flow remediation: app settings (${suffix})'
    description: 'Finds and replaces trigger URLs in app settings and connection strings. Allows writing the whole configuration of apps.'
    permissions: [
      {
        actions: [
          'Microsoft.Web/sites/read'
          'Microsoft.Web/sites/config/list/action'
          'Microsoft.Web/sites/config/write'
          'Microsoft.Web/sites/slots/read'
          'Microsoft.Web/sites/slots/config/list/action'
          'Microsoft.Web/sites/slots/config/write'
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

resource actionGroups 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(resourceGroup().id, token, 'action groups')
  properties: {
    roleName: 'Flow remediation: action groups (${suffix})'
    description: 'Finds and replaces trigger URLs in Azure Monitor action groups. Deletes nothing.'
    permissions: [
      {
        actions: [
          'Microsoft.Insights/actionGroups/read'
          'Microsoft.Insights/actionGroups/write'
        ]
      }
    ]
    assignableScopes: [resourceGroup().id]
  }
}

resource apiManagement 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(resourceGroup().id, token, 'api management')
  properties: {
    roleName: 'Flow remediation: API Management (${suffix})'
    description: 'Finds and replaces trigger URLs in backends, APIs, named values and policies of API Management. Deletes nothing.'
    permissions: [
      {
        actions: [
          'Microsoft.ApiManagement/service/apis/operations/policies/read'
          'Microsoft.ApiManagement/service/apis/operations/policies/write'
          'Microsoft.ApiManagement/service/apis/operations/read'
          'Microsoft.ApiManagement/service/apis/policies/read'
          'Microsoft.ApiManagement/service/apis/policies/write'
          'Microsoft.ApiManagement/service/apis/read'
          'Microsoft.ApiManagement/service/apis/write'
          'Microsoft.ApiManagement/service/backends/read'
          'Microsoft.ApiManagement/service/backends/write'
          'Microsoft.ApiManagement/service/namedValues/listValue/action'
          'Microsoft.ApiManagement/service/namedValues/read'
          'Microsoft.ApiManagement/service/namedValues/write'
          'Microsoft.ApiManagement/service/policies/read'
          'Microsoft.ApiManagement/service/policies/write'
          'Microsoft.ApiManagement/service/policyFragments/listReferences/action'
          'Microsoft.ApiManagement/service/policyFragments/read'
          'Microsoft.ApiManagement/service/policyFragments/write'
          'Microsoft.ApiManagement/service/products/policies/read'
          'Microsoft.ApiManagement/service/products/policies/write'
          'Microsoft.ApiManagement/service/products/read'
          'Microsoft.ApiManagement/service/read'
        ]
      }
    ]
    assignableScopes: [resourceGroup().id]
  }
}

resource automation 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(resourceGroup().id, token, 'automation')
  properties: {
    roleName: 'Flow remediation: Automation (${suffix})'
    description: 'Finds trigger URLs in variables and runbooks of Automation, and replaces them in variables. Deletes nothing.'
    permissions: [
      {
        actions: [
          'Microsoft.Automation/automationAccounts/read'
          'Microsoft.Automation/automationAccounts/runbooks/content/read'
          'Microsoft.Automation/automationAccounts/runbooks/read'
          'Microsoft.Automation/automationAccounts/variables/read'
          'Microsoft.Automation/automationAccounts/variables/write'
        ]
      }
    ]
    assignableScopes: [resourceGroup().id]
  }
}

resource containerApps 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(resourceGroup().id, token, 'container apps')
  properties: {
    roleName: 'Flow remediation: container apps (${suffix})'
    description: 'Finds and replaces trigger URLs in secrets and environment variables of container apps. Allows writing whole apps, and restarts them.'
    permissions: [
      {
        actions: [
          'Microsoft.App/containerApps/read'
          'Microsoft.App/containerApps/write'
          'Microsoft.App/containerApps/listSecrets/action'
          'Microsoft.App/containerApps/revisions/read'
          'Microsoft.App/containerApps/revisions/restart/action'
        ]
      }
    ]
    assignableScopes: [resourceGroup().id]
  }
}

resource dataFactory 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(resourceGroup().id, token, 'data factory')
  properties: {
    roleName: 'Flow remediation: Data Factory (${suffix})'
    description: 'Finds and replaces trigger URLs in pipelines, linked services, datasets and global parameters of Data Factory. Deletes nothing.'
    permissions: [
      {
        actions: [
          'Microsoft.DataFactory/factories/datasets/read'
          'Microsoft.DataFactory/factories/datasets/write'
          'Microsoft.DataFactory/factories/globalParameters/read'
          'Microsoft.DataFactory/factories/globalParameters/write'
          'Microsoft.DataFactory/factories/linkedServices/read'
          'Microsoft.DataFactory/factories/linkedServices/write'
          'Microsoft.DataFactory/factories/pipelines/read'
          'Microsoft.DataFactory/factories/pipelines/write'
          'Microsoft.DataFactory/factories/read'
          'Microsoft.DataFactory/factories/triggers/read'
        ]
      }
    ]
    assignableScopes: [resourceGroup().id]
  }
}

resource eventSubscriptions 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(resourceGroup().id, token, 'event subscriptions')
  properties: {
    roleName: 'Flow remediation: event subscriptions (${suffix})'
    description: 'Finds and replaces trigger URLs in event subscriptions of Event Grid. Deletes nothing.'
    permissions: [
      {
        actions: [
          'Microsoft.EventGrid/domains/eventSubscriptions/getFullUrl/action'
          'Microsoft.EventGrid/domains/eventSubscriptions/read'
          'Microsoft.EventGrid/domains/eventSubscriptions/write'
          'Microsoft.EventGrid/domains/topics/eventSubscriptions/getFullUrl/action'
          'Microsoft.EventGrid/domains/topics/eventSubscriptions/read'
          'Microsoft.EventGrid/domains/topics/eventSubscriptions/write'
          'Microsoft.EventGrid/eventSubscriptions/getFullUrl/action'
          'Microsoft.EventGrid/eventSubscriptions/read'
          'Microsoft.EventGrid/eventSubscriptions/write'
          'Microsoft.EventGrid/partnerTopics/eventSubscriptions/getFullUrl/action'
          'Microsoft.EventGrid/partnerTopics/eventSubscriptions/read'
          'Microsoft.EventGrid/partnerTopics/eventSubscriptions/write'
          'Microsoft.EventGrid/systemTopics/eventSubscriptions/getFullUrl/action'
          'Microsoft.EventGrid/systemTopics/eventSubscriptions/read'
          'Microsoft.EventGrid/systemTopics/eventSubscriptions/write'
          'Microsoft.EventGrid/topics/eventSubscriptions/getFullUrl/action'
          'Microsoft.EventGrid/topics/eventSubscriptions/read'
          'Microsoft.EventGrid/topics/eventSubscriptions/write'
        ]
      }
    ]
    assignableScopes: [resourceGroup().id]
  }
}

resource keyValues 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(resourceGroup().id, token, 'app configuration')
  properties: {
    roleName: 'Flow remediation: app configuration (${suffix})'
    description: 'Finds and replaces trigger URLs in key-values of App Configuration. Deletes nothing.'
    permissions: [
      {
        dataActions: [
          'Microsoft.AppConfiguration/configurationStores/keyValues/read'
          'Microsoft.AppConfiguration/configurationStores/keyValues/write'
        ]
      }
    ]
    assignableScopes: [resourceGroup().id]
  }
}

resource logicAppFiles 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(resourceGroup().id, token, 'logic app files')
  properties: {
    roleName: 'Flow remediation: logic app files (${suffix})'
    description: 'Finds and replaces trigger URLs in files of Logic Apps (Standard). Allows every request to the runtime of apps.'
    permissions: [
      {
        actions: [
          'Microsoft.Web/sites/hostruntime/*'
          'Microsoft.Web/sites/workflows/read'
          'Microsoft.Web/sites/slots/hostruntime/*'
          'Microsoft.Web/sites/slots/workflows/read'
        ]
      }
    ]
    assignableScopes: [resourceGroup().id]
  }
}

resource logicApps 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(resourceGroup().id, token, 'logic apps')
  properties: {
    roleName: 'Flow remediation: logic apps (${suffix})'
    description: 'Finds and replaces trigger URLs in logic apps (Consumption). Deletes nothing.'
    permissions: [
      {
        actions: [
          'Microsoft.Logic/workflows/read'
          'Microsoft.Logic/workflows/write'
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

resource logicAppsRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(resourceGroup().id, principalId, 'logic apps')
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', logicApps.name)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

resource actionGroupsRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(resourceGroup().id, principalId, 'action groups')
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', actionGroups.name)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

resource containerAppsRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(resourceGroup().id, principalId, 'container apps')
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', containerApps.name)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

resource eventSubscriptionsRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(resourceGroup().id, principalId, 'event subscriptions')
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', eventSubscriptions.name)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

resource keyValuesRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(resourceGroup().id, principalId, 'app configuration')
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', keyValues.name)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

resource apiManagementRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(resourceGroup().id, principalId, 'api management')
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', apiManagement.name)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

resource logicAppFilesRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(resourceGroup().id, principalId, 'logic app files')
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', logicAppFiles.name)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

resource automationRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(resourceGroup().id, principalId, 'automation')
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', automation.name)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

resource dataFactoryRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(resourceGroup().id, principalId, 'data factory')
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', dataFactory.name)
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}
