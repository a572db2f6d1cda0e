// A new network, and no service with a public address.
using '../main.bicep'

param environmentName = 'prod'
param location = 'westeurope'
param network = 'new'
