// What `azd up` deploys where only the name and the region are set.
using '../main.bicep'

param environmentName = 'prod'
param location = 'westeurope'
