// Subnets of an existing network, without its private DNS zones.
using '../main.bicep'

param environmentName = 'prod'
param location = 'westeurope'
param network = 'existing'
param appSubnetId = '/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/hub/providers/Microsoft.Network/virtualNetworks/vnet-spoke/subnets/flow-remediation'
param endpointSubnetId = '/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/hub/providers/Microsoft.Network/virtualNetworks/vnet-spoke/subnets/endpoints'
