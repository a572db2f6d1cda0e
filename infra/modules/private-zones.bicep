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
}
