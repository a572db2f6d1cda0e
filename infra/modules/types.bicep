// Parameter types shared by several modules.
@export()
@description('Tags of all resources.')
type tags = {
  'azd-env-name': string
}
