"""Build the protobuf messages of Microsoft's Python worker when this module is imported.

The worker library has no compiled messages: its host passes a module of them. Names, types, oneofs
and enums are those of FunctionRpc.proto. The field numbers are assigned here, because nothing is
serialised. The messages are real protobuf classes, so that the worker meets the same type errors as
in Azure.
"""

from types import SimpleNamespace
from typing import Any

from google.protobuf import descriptor_pb2 as pb  # type: ignore[import-untyped]  # ships no types
from google.protobuf import descriptor_pool, duration_pb2, message_factory, timestamp_pb2

#: One message or enum a line; a field is `[oneof/]name:type`, `*` = repeated, `%` = map by string.
SCHEMA = """
StatusResult status:StatusResult.Status result:string exception:RpcException
enum StatusResult.Status Failure Success Cancelled
RpcException source:string stack_trace:string message:string is_user_exception:bool type:string
WorkerInitRequest host_version:string capabilities:string% function_app_directory:string
WorkerInitResponse capabilities:string% result:StatusResult worker_metadata:WorkerMetadata
WorkerMetadata runtime_name:string runtime_version:string worker_version:string \
worker_bitness:string custom_properties:string%
FunctionsMetadataRequest function_app_directory:string
FunctionMetadataResponse function_metadata_results:RpcFunctionMetadata* result:StatusResult \
use_default_metadata_indexing:bool
RpcFunctionMetadata name:string directory:string script_file:string entry_point:string \
bindings:BindingInfo% is_proxy:bool status:StatusResult language:string raw_bindings:string* \
function_id:string managed_dependency_enabled:bool retry_options:RpcRetryOptions properties:string%
BindingInfo type:string direction:BindingInfo.Direction data_type:BindingInfo.DataType \
properties:string%
enum BindingInfo.Direction in out inout
enum BindingInfo.DataType undefined string binary stream
RpcRetryOptions max_retry_count:int32 delay_interval:Duration minimum_interval:Duration \
maximum_interval:Duration retry_strategy:RpcRetryOptions.RetryStrategy
enum RpcRetryOptions.RetryStrategy exponential_backoff fixed_delay
FunctionLoadRequest function_id:string metadata:RpcFunctionMetadata managed_dependency_enabled:bool
FunctionLoadResponse function_id:string result:StatusResult is_dependency_downloaded:bool
InvocationRequest invocation_id:string function_id:string input_data:ParameterBinding* \
trigger_metadata:TypedData% trace_context:RpcTraceContext retry_context:RetryContext
RpcTraceContext trace_parent:string trace_state:string attributes:string%
RetryContext retry_count:int32 max_retry_count:int32 exception:RpcException
InvocationResponse invocation_id:string output_data:ParameterBinding* return_value:TypedData \
result:StatusResult
ParameterBinding name:string rpc_data/data:TypedData rpc_data/rpc_shared_memory:RpcSharedMemory
RpcSharedMemory name:string offset:int64 count:int64 type:RpcDataType
enum RpcDataType unknown string json bytes stream http int double \
collection_bytes collection_string collection_double collection_sint64
TypedData data/string:string data/json:string data/bytes:bytes data/stream:bytes data/http:RpcHttp \
data/int:sint64 data/double:double data/collection_bytes:CollectionBytes \
data/collection_string:CollectionString data/collection_double:CollectionDouble \
data/collection_sint64:CollectionSInt64 data/model_binding_data:ModelBindingData \
data/collection_model_binding_data:CollectionModelBindingData
CollectionBytes bytes:bytes*
CollectionString string:string*
CollectionDouble double:double*
CollectionSInt64 sint64:sint64*
ModelBindingData version:string source:string content_type:string content:bytes
CollectionModelBindingData model_binding_data:ModelBindingData*
RpcHttp method:string url:string headers:string% body:TypedData params:string% status_code:string \
query:string% enable_content_negotiation:bool rawBody:TypedData cookies:RpcHttpCookie* \
nullable_headers:NullableString% nullable_params:NullableString% nullable_query:NullableString%
RpcHttpCookie name:string value:string domain:NullableString path:NullableString \
expires:NullableTimestamp secure:NullableBool http_only:NullableBool \
same_site:RpcHttpCookie.SameSite max_age:NullableDouble
enum RpcHttpCookie.SameSite None Lax Strict ExplicitNone
NullableString string/value:string
NullableDouble double/value:double
NullableBool bool/value:bool
NullableTimestamp timestamp/value:Timestamp
"""

_PACKAGE = "AzureFunctionsRpcMessages"
_Field = pb.FieldDescriptorProto
_SCALARS = {
    name: getattr(_Field, f"TYPE_{name.upper()}")
    for name in ("string", "bytes", "bool", "int32", "int64", "sint64", "double")
}
_WELL_KNOWN = ("Duration", "Timestamp")


def _set_type(field: Any, type_name: str, enums: set[str]) -> None:
    if type_name in _SCALARS:
        field.type = _SCALARS[type_name]
        return
    field.type = _Field.TYPE_ENUM if type_name in enums else _Field.TYPE_MESSAGE
    package = "google.protobuf" if type_name in _WELL_KNOWN else _PACKAGE
    field.type_name = f".{package}.{type_name}"


def _add_map_entry(message: Any, field: Any, value_type: str, enums: set[str]) -> None:
    """Turn a field into `map<string, value_type>`, which is a repeated nested message."""
    entry_name = "".join(part.capitalize() for part in field.name.split("_")) + "Entry"
    entry = message.nested_type.add(name=entry_name)
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=_Field.TYPE_STRING, label=_Field.LABEL_OPTIONAL)
    value = entry.field.add(name="value", number=2, label=_Field.LABEL_OPTIONAL)
    _set_type(value, value_type, enums)
    field.label, field.type = _Field.LABEL_REPEATED, _Field.TYPE_MESSAGE
    field.type_name = f".{_PACKAGE}.{message.name}.{entry_name}"


def _add_field(message: Any, token: str, enums: set[str]) -> None:
    path, _, type_name = token.partition(":")
    oneof, _, name = path.rpartition("/")
    field = message.field.add(name=name, number=len(message.field) + 1, label=_Field.LABEL_OPTIONAL)
    if oneof:
        if oneof not in [declared.name for declared in message.oneof_decl]:
            message.oneof_decl.add(name=oneof)
        field.oneof_index = [declared.name for declared in message.oneof_decl].index(oneof)
    if type_name.endswith("%"):
        _add_map_entry(message, field, type_name[:-1], enums)
        return
    if type_name.endswith("*"):
        field.label = _Field.LABEL_REPEATED
    _set_type(field, type_name.rstrip("*"), enums)


def _build_messages() -> SimpleNamespace:
    file = pb.FileDescriptorProto(name="local_cloud/function_rpc.proto", package=_PACKAGE)
    file.syntax = "proto3"
    file.dependency.extend([duration_pb2.DESCRIPTOR.name, timestamp_pb2.DESCRIPTOR.name])
    lines = [line.split() for line in SCHEMA.strip().splitlines()]
    enums = {words[1] for words in lines if words[0] == "enum"}
    messages = {words[0]: (file.message_type.add(name=words[0]), words[1:]) for words in lines
                if words[0] != "enum"}  # fmt: skip
    for message, tokens in messages.values():
        for token in tokens:
            _add_field(message, token, enums)
    for words in lines:
        if words[0] == "enum":
            outer, _, name = words[1].rpartition(".")
            enum = (messages[outer][0] if outer else file).enum_type.add(name=name)
            for number, value in enumerate(words[2:]):
                enum.value.add(name=value, number=number)
    descriptor = descriptor_pool.Default().AddSerializedFile(file.SerializeToString())
    return SimpleNamespace(
        **{
            name: message_factory.GetMessageClass(descriptor.message_types_by_name[name])
            for name in messages
        }
    )


#: The namespace of message classes: `rpc.InvocationRequest(...)`.
rpc = _build_messages()
