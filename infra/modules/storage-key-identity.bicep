// The identity by which the storage account and Service Bus use the customer's key.
import * as types from 'types.bicep'

param location string
param tags types.tags
param token string

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: 'id-storage-${token}'
  location: location
  tags: tags
}

output id string = identity.id
output principalId string = identity.properties.principalId
