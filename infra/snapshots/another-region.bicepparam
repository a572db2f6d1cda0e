// A region other than the key vault's.
using '../main.bicep'

param environmentName = 'prod'
param location = 'swedencentral'
param keyVaultId = '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/keys/providers/Microsoft.KeyVault/vaults/kv-keys'
param keyVaultLocation = 'francecentral'
