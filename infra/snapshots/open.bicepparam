// Deployment by `azd up` with only a name and a region: every service has a public address.
using '../main.bicep'

param environmentName = 'prod'
param location = 'westeurope'
