// Deployment by `azd up` with only a name and a region.
using '../main.bicep'

param environmentName = 'prod'
param location = 'westeurope'
