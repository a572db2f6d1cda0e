// Private DNS zones of the services that have private endpoints, linked to the network.
param tags types.tags
param networkId string
param zones { *: string }

import * as types from 'types.bicep'

resource dns 'Microsoft.Network/privateDnsZones@2024-06-01' = [
  for zone in items(zones): {
    name: zone.value
    location: 'global'
    tags: tags
  }
]

resource links 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [
  for (zone, index) in items(zones): {
    parent: dns[index]
    name: 'app'
    location: 'global'
    tags: tags
    properties: {
      virtualNetwork: { id: networkId }
      registrationEnabled: false
    }
  }
]
