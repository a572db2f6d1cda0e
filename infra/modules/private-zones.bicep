// Names of private DNS zones, which differ between clouds.
@export()
@description('Zone by part of a private endpoint. The suffixes are those of the cloud.')
func zones(cloud string, storage string, vaults string) { *: string } => {
  blob: 'privatelink.blob.${storage}'
  table: 'privatelink.table.${storage}'
  namespace: replace(storage, 'core.', 'privatelink.servicebus.')
  vault: replace(vaults, '.vault.', 'privatelink.vaultcore.')
  sites: {
    AzureCloud: 'privatelink.azurewebsites.net'
    AzureUSGovernment: 'privatelink.azurewebsites.us'
    AzureChinaCloud: 'privatelink.chinacloudsites.cn'
  }[cloud]
  monitor: 'privatelink.monitor.azure.${monitorDomain(cloud)}'
  oms: 'privatelink.oms.opinsights.azure.${monitorDomain(cloud)}'
  ods: 'privatelink.ods.opinsights.azure.${monitorDomain(cloud)}'
  agents: {
    AzureCloud: 'privatelink.agentsvc.azure-automation.net'
    AzureUSGovernment: 'privatelink.agentsvc.azure-automation.us'
    AzureChinaCloud: 'privatelink.agentsvc.azure-automation.cn'
  }[cloud]
}

@export()
@description('Zones of an endpoint of Azure Monitor.')
var monitorZones = ['monitor', 'oms', 'ods', 'agents', 'blob']

func monitorDomain(cloud string) string => { AzureCloud: 'com', AzureUSGovernment: 'us', AzureChinaCloud: 'cn' }[cloud]
