import zzqx_nowhere

VALUE = zzqx_nowhere
