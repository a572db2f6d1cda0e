// Every parameter set.
using '../main.bicep'

param environmentName = 'prod'
param location = 'westeurope'
param watchedSubscriptionIds = '11111111-1111-1111-1111-111111111111,22222222-2222-2222-2222-222222222222'
param serviceAccountClientId = '33333333-3333-3333-3333-333333333333'
param signInClientId = '44444444-4444-4444-4444-444444444444'
param keyVaultId = '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/keys/providers/Microsoft.KeyVault/vaults/kv-keys'
param keyVaultLocation = 'westeurope'
param callerResourceGroupIds = '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/orders, /subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/invoices'
param firewallResourceGroupIds = '/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/edge'
param settingsVaultIds = '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/team/providers/Microsoft.KeyVault/vaults/kv-team'
param triggerUrlVaultId = '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/orders/providers/Microsoft.KeyVault/vaults/kv-urls'
param triggerUrlReaderIds = '55555555-5555-5555-5555-555555555555, 66666666-6666-6666-6666-666666666666'
param createPolicyTopic = true
param storageRedundancy = 'Standard_ZRS'
param tunables = {
  CMK_NO_CALL_PERIOD: 'P14D'
  CMK_DAILY_CHECK_SCHEDULE: '0 0 4 * * *'
  CMK_TEAMS_WEBHOOK: '@Microsoft.KeyVault(SecretUri=https://kv-team.vault.azure.net/secrets/teams-webhook)'
}
param actionGroupId = '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/team/providers/Microsoft.Insights/actionGroups/on-call'
param network = 'existing'
param appSubnetId = '/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/hub/providers/Microsoft.Network/virtualNetworks/vnet-spoke/subnets/flow-remediation'
param endpointSubnetId = '/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/hub/providers/Microsoft.Network/virtualNetworks/vnet-spoke/subnets/endpoints'
param privateDnsGroupId = '/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/dns'
param networkAddresses = '10.90.0.0/24'
param privateVaultIds = '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/team/providers/Microsoft.KeyVault/vaults/kv-team, /subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/orders/providers/Microsoft.KeyVault/vaults/kv-urls'
param monitorScopeId = '/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/hub/providers/Microsoft.Insights/privateLinkScopes/pls-hub'
param storageKeyId = '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/keys/providers/Microsoft.KeyVault/vaults/kv-keys/keys/flow-remediation'
param archiveRetentionDays = 365
param lockResources = true
