// A subscription that has its system topic already.
using '../main.bicep'

param environmentName = 'prod'
param location = 'westeurope'
param createPolicyTopic = false
