// Makes the tables of protobuf fields in src/kube/field_table/. Standard library only: the API
// modules that it reads are downloaded as source and never built.
module etcdsnap.test/field-table

go 1.24
