// A new network, and the customer's key for the storage account and Service Bus.
using '../main.bicep'

param environmentName = 'prod'
param location = 'westeurope'
param network = 'new'
param storageKeyId = '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/keys/providers/Microsoft.KeyVault/vaults/kv-keys/keys/flow-remediation'
param storageRedundancy = 'Standard_GZRS'
param archiveRetentionDays = 365
param lockResources = true
