// A subscription with an existing system topic.
using '../main.bicep'

param environmentName = 'prod'
param location = 'westeurope'
param createPolicyTopic = false
