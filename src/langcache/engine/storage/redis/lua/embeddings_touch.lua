if not is_live() then return 0 end
live_on()
return 1
