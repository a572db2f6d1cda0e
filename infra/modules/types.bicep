// Parameter types shared by several modules.
@export()
@description('Tags of all resources.')
type tags = {
  'azd-env-name': string
}

@export()
@description('A key of a key vault that encrypts the storage account, and the identity that may use it.')
type storageKey = {
  identityId: string
  vaultUrl: string
  name: string
}
