// A private endpoint of one service, with its addresses in the private DNS zones of that service.
import * as types from 'types.bicep'

param location string
param tags types.tags
param name string
param subnetId string
param targetId string

@description('Part of the target, such as blob.')
param part string

@description('Ids of the private DNS zones that get its addresses, by a name.')
param zones { *: string }

resource endpoint 'Microsoft.Network/privateEndpoints@2025-01-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    subnet: { id: subnetId }
    customNetworkInterfaceName: 'nic-${name}'
    privateLinkServiceConnections: [
      {
        name: part
        properties: { privateLinkServiceId: targetId, groupIds: [part] }
      }
    ]
  }
}

resource addresses 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2025-01-01' = {
  parent: endpoint
  name: 'default'
  properties: {
    privateDnsZoneConfigs: [
      for zone in items(zones): {
        name: zone.key
        properties: { privateDnsZoneId: zone.value }
      }
    ]
  }
}
