// The storage account: tables (created by the app), archived definitions in the container
// `archive`, the host's leases, and the app's package. Account keys are disabled.
import * as types from 'types.bicep'

param location string
param tags types.tags

// Long enough for a storage account name, which has at least three characters.
@minLength(13)
param token string

param principalId string
param redundancy string

@description('Whether only private endpoints reach the account.')
param isPrivate bool

param isLocked bool

@description('Days for which nobody can change or delete an archived file. 0: no such rule.')
param archiveRetentionDays int

@description('Where the key of the account is. Null: Microsoft manages the key.')
param key types.customerKey?

var blobDataOwner = 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
var tableDataContributor = '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3'

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  name: 'st${token}'
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: redundancy }
  identity: key == null ? null : { type: 'UserAssigned', userAssignedIdentities: { '${key!.identityId}': {} } }
  properties: {
    // Decided when the account is created: the customer's key can encrypt tables only as `Account`.
    encryption: {
      keySource: key == null ? 'Microsoft.Storage' : 'Microsoft.Keyvault'
      services: {
        blob: { enabled: true }
        file: { enabled: true }
        queue: { enabled: true, keyType: 'Account' }
        table: { enabled: true, keyType: 'Account' }
      }
      identity: key == null ? null : { userAssignedIdentity: key!.identityId }
      // Without a version, the account follows a rotation.
      keyvaultproperties: key == null ? null : { keyvaulturi: key!.vaultUrl, keyname: key!.name }
    }
    publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'
    networkAcls: { defaultAction: isPrivate ? 'Deny' : 'Allow', bypass: 'None' }
    allowSharedKeyAccess: false
    allowBlobPublicAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-06-01' = {
  parent: account
  name: 'default'
  properties: {
    deleteRetentionPolicy: { enabled: true, days: 30 }
    containerDeleteRetentionPolicy: { enabled: true, days: 30 }
    isVersioningEnabled: true
  }
}

// The host writes its blobs all the time, and each write keeps a version.
resource oldVersions 'Microsoft.Storage/storageAccounts/managementPolicies@2025-06-01' = {
  parent: account
  name: 'default'
  dependsOn: [blobs]
  properties: {
    policy: {
      rules: [
        {
          name: 'delete-old-versions'
          type: 'Lifecycle'
          definition: {
            filters: { blobTypes: ['blockBlob'] }
            actions: { version: { delete: { daysAfterCreationGreaterThan: 30 } } }
          }
        }
      ]
    }
  }
}

resource archive 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = {
  parent: blobs
  name: 'archive'
}

// The app adds files and changes none.
resource retention 'Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies@2025-06-01' = if (archiveRetentionDays > 0) {
  parent: archive
  name: 'default'
  properties: {
    immutabilityPeriodSinceCreationInDays: archiveRetentionDays
    allowProtectedAppendWrites: false
  }
}

resource package 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = {
  parent: blobs
  name: 'app-package'
}

resource roles 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for role in [blobDataOwner, tableDataContributor]: {
    name: guid(account.id, principalId, role)
    scope: account
    properties: {
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role)
      principalId: principalId
      principalType: 'ServicePrincipal'
    }
  }
]

resource lock 'Microsoft.Authorization/locks@2020-05-01' = if (isLocked) {
  name: 'keep'
  scope: account
  properties: { level: 'CanNotDelete' }
}

output accountId string = account.id
output accountName string = account.name
output packageContainer string = '${account.properties.primaryEndpoints.blob}${package.name}'
