-- The health of an InferenceService for Argo CD, from the conditions that docs/conditions.md explains (they are kstatus').
-- A canary that waits for somebody is Suspended, not Progressing, and the page says for whom it waits.

local status = obj.status or {}
local generation = obj.metadata.generation
local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end

local function is(kind, wanted)
  return conditions[kind] ~= nil and conditions[kind].status == wanted
end

local function health(name, message)
  return {status = name, message = message}
end

if status.observedGeneration == nil or generation ~= nil and status.observedGeneration < generation then
  return health("Progressing", "The operator has not looked at this generation yet.")
end
if is("Stalled", "True") then
  return health("Degraded", conditions.Stalled.message)
end
if status.stable ~= nil and is("Servable", "False") then
  return health("Degraded", conditions.Servable.message)
end
if is("Reconciling", "True") then
  return health("Progressing", conditions.Reconciling.message)
end
if is("UpToDate", "False") then
  local canary = is("CanaryHealthy", "False") and " " .. conditions.CanaryHealthy.message or ""
  return health("Suspended", conditions.UpToDate.message .. canary)
end
if not is("Ready", "True") then
  return health("Progressing", conditions.Ready and conditions.Ready.message or "No condition Ready yet.")
end
return health("Healthy", conditions.Ready.message)
