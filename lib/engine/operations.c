#include "engine/operations.h"

const char *engine_operation_name(enum engine_operation o)
{
	static const char *const names[OPERATION_COUNT] = {
	    [OPERATION_GET_ALIAS] = "GetAlias",
	    [OPERATION_UPDATE_ALIAS] = "UpdateAlias",
	    [OPERATION_GET_FUNCTION] = "GetFunction",
	    [OPERATION_LIST_VERSIONS] = "ListVersionsByFunction",
	    [OPERATION_GET_METRIC_DATA] = "GetMetricData",
	    [OPERATION_DESCRIBE_ALARMS] = "DescribeAlarms",
	    [OPERATION_CREATE_FUNCTION] = "CreateFunction",
	    [OPERATION_UPDATE_FUNCTION_CODE] = "UpdateFunctionCode",
	    [OPERATION_PUBLISH_VERSION] = "PublishVersion",
	    [OPERATION_DELETE_FUNCTION] = "DeleteFunction",
	    [OPERATION_CREATE_ALIAS] = "CreateAlias",
	    [OPERATION_LIST_ALIASES] = "ListAliases",
	    [OPERATION_GET_POLICY] = "GetPolicy",
	    [OPERATION_ADD_PERMISSION] = "AddPermission",
	    [OPERATION_REMOVE_PERMISSION] = "RemovePermission",
	    [OPERATION_PUT_CONCURRENCY] = "PutProvisionedConcurrencyConfig",
	    [OPERATION_DELETE_CONCURRENCY] = "DeleteProvisionedConcurrencyConfig",
	    [OPERATION_LIST_CONCURRENCY] = "ListProvisionedConcurrencyConfigs",
	    [OPERATION_INVOKE] = "Invoke",
	    [OPERATION_GET_APIS] = "GetApis",
	    [OPERATION_GET_API] = "GetApi",
	    [OPERATION_GET_RESOURCES] = "GetResources",
	    [OPERATION_GET_INTEGRATION] = "GetIntegration",
	    [OPERATION_GET_INTEGRATIONS] = "GetIntegrations",
	    [OPERATION_GET_ROUTES] = "GetRoutes",
	    [OPERATION_GET_DEPLOYMENTS] = "GetDeployments",
	    [OPERATION_GET_DEPLOYMENT] = "GetDeployment",
	    [OPERATION_GET_STAGES] = "GetStages",
	    [OPERATION_CREATE_API] = "CreateApi",
	    [OPERATION_CREATE_RESOURCE] = "CreateResource",
	    [OPERATION_PUT_METHOD] = "PutMethod",
	    [OPERATION_PUT_INTEGRATION] = "PutIntegration",
	    [OPERATION_CREATE_INTEGRATION] = "CreateIntegration",
	    [OPERATION_CREATE_ROUTE] = "CreateRoute",
	    [OPERATION_UPDATE_ROUTE] = "UpdateRoute",
	    [OPERATION_CREATE_DEPLOYMENT] = "CreateDeployment",
	    [OPERATION_CREATE_STAGE] = "CreateStage",
	    [OPERATION_UPDATE_STAGE] = "UpdateStage",
	    [OPERATION_GET_CALLER_IDENTITY] = "GetCallerIdentity",
	};

	return names[o];
}
