// A network for the app: a subnet for its outgoing requests and one for private endpoints. Requests
// to the internet leave by one address, which firewalls of others can allow.
import * as types from 'types.bicep'

param location string
param tags types.tags
param token string

@description('A /24 network.')
param addresses string

resource outgoing 'Microsoft.Network/publicIPAddresses@2025-01-01' = {
  name: 'pip-${token}'
  location: location
  tags: tags
  sku: { name: 'Standard' }
  properties: { publicIPAllocationMethod: 'Static' }
}

resource gateway 'Microsoft.Network/natGateways@2025-01-01' = {
  name: 'ng-${token}'
  location: location
  tags: tags
  sku: { name: 'Standard' }
  properties: { publicIpAddresses: [{ id: outgoing.id }] }
}

resource network 'Microsoft.Network/virtualNetworks@2025-01-01' = {
  name: 'vnet-${token}'
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: [addresses] }
    subnets: [
      {
        name: 'app'
        properties: {
          addressPrefix: cidrSubnet(addresses, 26, 0)
          defaultOutboundAccess: false
          natGateway: { id: gateway.id }
          delegations: [
            { name: 'app', properties: { serviceName: 'Microsoft.App/environments' } }
          ]
        }
      }
      {
        name: 'endpoints'
        properties: {
          addressPrefix: cidrSubnet(addresses, 26, 1)
          defaultOutboundAccess: false
        }
      }
    ]
  }
}

output id string = network.id
output appSubnetId string = network.properties.subnets[0].id
output endpointSubnetId string = network.properties.subnets[1].id
output outgoingAddress string = outgoing.properties.ipAddress
