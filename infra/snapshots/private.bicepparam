// A new network, and no service with a public address.
using '../main.bicep'

param environmentName = 'prod'
param location = 'westeurope'
param network = 'new'
param privateVaultIds = '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/orders/providers/Microsoft.KeyVault/vaults/kv-orders'
